package views

import "context"

// roleKeys are the roles' words, the weakest first.
var roleKeys = []Key{KeyRoleGuest, KeyRoleReporter, KeyRoleDeveloper, KeyRoleMaintainer, KeyRoleOwner}

// RoleText is the word for a role, given by its access level (10 to 50).
func RoleText(ctx context.Context, level int) string {
	if i := level/10 - 1; i >= 0 && i < len(roleKeys) {
		return T(ctx, roleKeys[i])
	}
	return T(ctx, KeyRoleNone)
}

// permissionRows say from which role on, as an index into roleKeys, something
// about status checks is allowed.
var permissionRows = []struct {
	text Key
	from int
}{
	{KeyPermissionView, 1},
	{KeyPermissionSet, 2},
	{KeyPermissionRetry, 2},
	{KeyPermissionManage, 3},
	{KeyPermissionDeliveries, 3},
}

// visibilityOptions are the choices of who may see a project.
func visibilityOptions(ctx context.Context) []Option {
	var options []Option
	for _, value := range []string{"private", "internal", "public"} {
		v := Visibility{Value: value}
		options = append(options, Option{Value: value, Text: T(ctx, v.text()), Hint: T(ctx, v.hint())})
	}
	return options
}
