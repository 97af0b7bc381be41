package views

import (
	"context"

	"github.com/mergegate/mergegate/views/text"
)

// roleKeys are the names of the roles, lowest first.
var roleKeys = []text.Key{text.KeyRoleGuest, text.KeyRoleReporter, text.KeyRoleDeveloper, text.KeyRoleMaintainer, text.KeyRoleOwner}

// RoleText returns the name of the role with an access level (10 to 50), or
// "No role" in the reader's language for another level.
func RoleText(ctx context.Context, level int) string {
	if i := level/10 - 1; i >= 0 && i < len(roleKeys) {
		return text.T(ctx, roleKeys[i])
	}
	return text.T(ctx, text.KeyRoleNone)
}

// permissionRows are operations on status checks with the lowest role that may
// do them, as an index into roleKeys.
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

// visibilityOptions returns the options for a project's visibility.
func visibilityOptions(ctx context.Context) []Option {
	var options []Option
	for _, value := range []string{"private", "internal", "public"} {
		v := Visibility{Value: value}
		options = append(options, Option{Value: value, Text: text.T(ctx, v.text()), Hint: text.T(ctx, v.hint())})
	}
	return options
}
