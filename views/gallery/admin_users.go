package gallery

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// adminFrame returns the view model of a page of the admin area.
func adminFrame(ctx context.Context, theme string, title text.Key, section string) views.Page {
	p := barePage(ctx, theme, title)
	p.User.Admin, p.AdminArea, p.Section = true, true, section
	p.Breadcrumbs = []views.Crumb{{Text: text.T(ctx, text.KeyAdminArea), URL: "/admin"}, {Text: p.Title, URL: "/admin"}}
	return p
}

func adminUserRows() []views.AdminUserRow {
	until := Now.Add(3 * 24 * time.Hour)
	return []views.AdminUserRow{
		{ID: 9, Username: "mona", Name: "Mona <Weiss>", Email: "mona@example.test", InvitedUntil: &until, NoPassword: true, CreatedAt: ago(time.Hour)},
		{ID: 1, Username: "priya", Name: "Priya Raman", Email: "priya.raman@northwind.example", Admin: true, You: true, CreatedAt: ago(9000 * time.Hour), LastSeen: ago(time.Minute)},
		{ID: 5, Username: strings.Repeat("x", 255), Name: strings.Repeat("Wolfeschlegelsteinhausen", 11)[:255], Email: strings.Repeat("y", 243) + "@example.com", Blocked: true, Admin: true, CreatedAt: ago(9000 * time.Hour), LastSeen: ago(90 * time.Hour)},
		{ID: 6, Username: "jonas", Name: "Jonas Lindqvist", OneTime: true, CreatedAt: ago(3 * time.Hour)},
		{ID: 7, Username: "noor", Name: "Noor", NoPassword: true, CreatedAt: ago(900 * time.Hour)},
		{ID: 8, Username: "project_1_bot_2", Name: "Deploy token", Bot: true, CreatedAt: ago(900 * time.Hour), LastSeen: ago(time.Second)},
	}
}

// adminUsers returns entries for the users of the admin area, and for invitations.
func adminUsers() []Entry {
	list := func(change func(*views.AdminUsers)) func(context.Context, string) templ.Component {
		return func(ctx context.Context, theme string) templ.Component {
			l := views.AdminUsers{Rows: adminUserRows(), Now: Now, Pages: views.PageLinks{First: 1, Last: 6, Total: 10_000, More: true, NextURL: "/admin/users?page=2"},
				Kinds: []views.Option{{Value: "", Text: text.T(ctx, text.KeyAdminKindPeople)}, {Value: "blocked", Text: text.T(ctx, text.KeyAdminKindBlocked)}}}
			change(&l)
			return views.AdminUsersPage(adminFrame(ctx, theme, text.KeyAdminUsers, views.SectionAdminUsers), l)
		}
	}
	one := func(row int, change func(*views.AdminUser)) func(context.Context, string) templ.Component {
		return func(ctx context.Context, theme string) templ.Component {
			v := views.AdminUser{AdminUserRow: adminUserRows()[row], Now: Now}
			change(&v)
			return views.AdminUserPage(adminFrame(ctx, theme, text.KeyAdminUsers, views.SectionAdminUsers), v)
		}
	}
	form := func(title text.Key, v func(context.Context) views.AdminUserForm) func(context.Context, string) templ.Component {
		return func(ctx context.Context, theme string) templ.Component {
			p := adminFrame(ctx, theme, title, views.SectionAdminUsers)
			p.Narrow = true
			return views.AdminUserFormPage(p, v(ctx))
		}
	}
	welcome := func(form func(context.Context) views.Form) func(context.Context, string) templ.Component {
		return func(ctx context.Context, theme string) templ.Component {
			p := barePage(ctx, theme, text.KeyNewPasswordTitle)
			return views.InvitationPage(p, views.Welcome{Form: form(ctx), Token: "example", Username: "mona", Name: "Mona <Weiss>"})
		}
	}
	block := views.Confirmation{Title: text.KeyAdminBlockTitle, Button: text.KeyAdminBlock, Text: views.UserActionText(text.KeyAdminBlockText, "Mona <Weiss>"),
		URL: "/admin/users/mona/block", CloseURL: "/admin/users/mona"}
	deletion := func(form views.Form) views.Confirmation {
		return views.Confirmation{Title: text.KeyAdminDeleteUserTitle, Button: text.KeyAdminDeleteUser, Text: views.UserActionText(text.KeyAdminDeleteUserText, "Mona <Weiss>"),
			URL: "/admin/users/mona/delete", CloseURL: "/admin/users/mona", Typed: "mona", Form: form}
	}
	return []Entry{
		{Name: "admin_users", Draw: list(func(*views.AdminUsers) {})},
		{Name: "admin_users_none_match", Draw: list(func(l *views.AdminUsers) {
			l.Rows, l.Search, l.Kind, l.Pages = nil, "nobody", "blocked", views.PageLinks{}
		})},
		{Name: "admin_user", Draw: one(3, fullUser)},
		{Name: "admin_user_invited", Draw: one(0, func(v *views.AdminUser) {
			v.Shown = views.ShownOnce{Title: text.KeyAdminLinkShown, Text: text.KeyAdminLinkShownText, Name: v.Name, Value: "https://gate.example/users/invitation?token=example-example-example"}
		})},
		{Name: "admin_user_blocked", Draw: one(2, func(*views.AdminUser) {})},
		{Name: "admin_user_bot", Draw: one(5, func(*views.AdminUser) {})},
		{Name: "admin_user_no_password", Draw: one(4, func(*views.AdminUser) {})},
		{Name: "admin_user_own", Draw: one(1, func(*views.AdminUser) {})},
		{Name: "admin_user_new", Draw: form(text.KeyAdminNewUser, func(ctx context.Context) views.AdminUserForm {
			return views.AdminUserForm{Form: views.Form{Values: url.Values{"username": {"-mona"}, "access": {"link"}},
				Errors: map[string]string{"username": text.T(ctx, text.KeyAdminUsernameRule), "access": text.T(ctx, text.KeyAdminAccessInvalid)}}}
		})},
		{Name: "admin_user_edit", Draw: form(text.KeyAdminEditUser, func(ctx context.Context) views.AdminUserForm {
			return views.AdminUserForm{User: adminUserRows()[1], Form: views.Form{Values: url.Values{"name": {"Priya"}, "admin": {"1"}},
				Problem: text.T(ctx, text.KeyAdminLastAdmin)}}
		})},
		{Name: "admin_user_block", Section: views.SectionAdminUsers, Draw: func(context.Context, string) templ.Component { return views.ConfirmationDialog(block) }},
		{Name: "admin_user_delete", Section: views.SectionAdminUsers, Draw: func(context.Context, string) templ.Component { return views.ConfirmationDialog(deletion(views.Form{})) }},
		{Name: "admin_user_delete_rejected", Draw: func(ctx context.Context, theme string) templ.Component {
			p := adminFrame(ctx, theme, text.KeyAdminDeleteUserTitle, views.SectionAdminUsers)
			p.Narrow = true
			return views.ConfirmationPage(p, deletion(views.Form{Values: url.Values{"confirm": {"priya"}},
				Errors: map[string]string{"confirm": text.T(ctx, text.KeyAdminDeleteUserMismatch)}}))
		}},
		{Name: "invitation", Draw: welcome(func(context.Context) views.Form { return views.Form{} })},
		{Name: "invitation_rejected", Draw: welcome(func(ctx context.Context) views.Form {
			return views.Form{Errors: map[string]string{"password": text.T(ctx, text.KeyPasswordTooShort), "password_confirmation": text.T(ctx, text.KeyPasswordMismatch)}}
		})},
		{Name: "setup", Draw: func(ctx context.Context, theme string) templ.Component {
			p := barePage(ctx, theme, text.KeyAdminSetupTitle)
			return views.SetupPage(p, views.Welcome{Token: "example", Form: views.Form{Values: url.Values{"username": {"-"}},
				Errors: map[string]string{"username": text.T(ctx, text.KeyAdminUsernameRule)}}})
		}},
		{Name: "sign_in_no_users", Draw: func(ctx context.Context, theme string) templ.Component {
			return views.SignInPage(barePage(ctx, theme, text.KeySignIn), views.SignIn{Host: "gate.example", ReturnTo: "/", NoUsers: true})
		}},
		{Name: "invitation_invalid", Draw: func(ctx context.Context, theme string) templ.Component {
			return views.InvalidLinkPage(barePage(ctx, theme, text.KeyAdminLinkInvalid), text.KeyAdminLinkInvalidText)
		}},
	}
}

// fullUser adds sessions and tokens.
func fullUser(v *views.AdminUser) {
	used := ago(3 * time.Minute)
	v.LastSeen = used
	v.Shown = views.ShownOnce{Title: text.KeyAdminPasswordShown, Text: text.KeyAdminPasswordShownText, Name: v.Name, Value: "example-example"}
	v.Sessions = []views.SessionRow{
		{ID: 2, Agent: "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", IP: "192.0.2.7", SignedInAt: ago(time.Hour), LastSeen: Now},
		{ID: 1, IP: "2001:db8:85a3::8a2e:370:7334", SignedInAt: ago(8 * 24 * time.Hour), LastSeen: ago(26 * time.Hour)},
	}
	v.Tokens = []views.TokenRow{
		{ID: 1, Name: "Deploy", Scopes: []string{"api"}, LastUsedAt: &used, ExpiresAt: Now.AddDate(0, 3, 0)},
		{ID: 2, Name: strings.Repeat("Long", 63), Scopes: []string{"api", "read_api"}, ExpiresAt: Now.AddDate(0, 0, 3)},
	}
	v.ProjectTokens = []views.AdminTokenRow{
		{TokenRow: views.TokenRow{ID: 3, Name: "Licence scan", Scopes: []string{"api"}, ExpiresAt: Now.AddDate(0, 3, 0)}, ProjectPath: "northwind/ticketing-api"},
	}
}
