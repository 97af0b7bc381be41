package views

import (
	"context"

	"github.com/mergegate/mergegate/views/text"
)

// roleKeys are the roles' words, the weakest first.
var roleKeys = []text.Key{text.KeyRoleGuest, text.KeyRoleReporter, text.KeyRoleDeveloper, text.KeyRoleMaintainer, text.KeyRoleOwner}

// RoleText is the word for a role, given by its access level (10 to 50).
func RoleText(ctx context.Context, level int) string {
	if i := level/10 - 1; i >= 0 && i < len(roleKeys) {
		return text.T(ctx, roleKeys[i])
	}
	return text.T(ctx, text.KeyRoleNone)
}

// permissionRows say from which role on, as an index into roleKeys, something
// about status checks is allowed.
var permissionRows = []struct {
	text text.Key
	from int
}{
	{text.KeyPermissionView, 1},
	{text.KeyPermissionSet, 2},
	{text.KeyPermissionRetry, 2},
	{text.KeyPermissionManage, 3},
	{text.KeyPermissionDeliveries, 3},
}

// visibilityOptions are the choices of who may see a project.
func visibilityOptions(ctx context.Context) []Option {
	var options []Option
	for _, value := range []string{"private", "internal", "public"} {
		v := Visibility{Value: value}
		options = append(options, Option{Value: value, Text: text.T(ctx, v.text()), Hint: text.T(ctx, v.hint())})
	}
	return options
}
