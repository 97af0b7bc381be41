package handlers

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/mergegate/mergegate/views"
	"github.com/mergegate/mergegate/views/text"
)

// Setting is a setting of the program in force.
type Setting struct {
	Name string
	// Value is empty for secrets; Set reports whether a secret has a value.
	Value       string
	Secret, Set bool
	Source      SettingSource
}

// SettingSource is where the value of a setting comes from.
type SettingSource string

// The sources.
const (
	SettingDefault     SettingSource = "default"
	SettingEnvironment SettingSource = "environment"
	SettingFile        SettingSource = "file"
	SettingCredential  SettingSource = "credential"
	SettingDataFolder  SettingSource = "data_folder"
)

var settingSourceTexts = map[SettingSource]text.Key{
	SettingDefault: text.KeyAdminSourceDefault, SettingEnvironment: text.KeyAdminSourceEnvironment, SettingFile: text.KeyAdminSourceFile,
	SettingCredential: text.KeyAdminSourceCredential, SettingDataFolder: text.KeyAdminSourceDataFolder,
}

// adminSettings shows the settings in force.
func (p *pages) adminSettings(c echo.Context) error {
	v := views.AdminSettings{Version: p.Version, Database: databaseNames[p.Store.Driver()]}
	for _, s := range p.Settings {
		v.Rows = append(v.Rows, views.AdminSetting{
			Name: s.Name, Value: s.Value, Secret: s.Secret, Set: s.Set || s.Value != "", Source: translate(c, settingSourceTexts[s.Source]),
			Changed: s.Source != SettingDefault,
		})
	}
	page, err := p.adminPage(c, translate(c, text.KeyAdminSettings), views.SectionAdminSettings, translate(c, text.KeyAdminSettings), adminSettingsPath)
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, views.AdminSettingsPage(page, v))
}

// databaseNames are the names of the databases by driver.
var databaseNames = map[string]string{"sqlite": "SQLite", "postgres": "PostgreSQL"}
