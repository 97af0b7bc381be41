package main

import (
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/mergegate/mergegate/handlers"
)

// inForce returns the settings with their values and where each comes from. Values that
// are secrets are left out.
func (c config) inForce() []handlers.Setting {
	secrets := map[string]secretSetting{}
	for _, s := range c.secrets() {
		secrets[s.name] = s
	}
	var list []handlers.Setting
	value := reflect.ValueOf(c)
	for _, field := range reflect.VisibleFields(value.Type()) {
		name := field.Tag.Get("env")
		if name == "" {
			continue
		}
		s := handlers.Setting{Name: name, Source: handlers.SettingDefault}
		if os.Getenv(name) != "" {
			s.Source = handlers.SettingEnvironment
		}
		if secret, ok := secrets[name]; ok {
			s.Secret, s.Set = true, *secret.value != ""
			switch from := c.source[name]; {
			case !s.Set && name == "MERGEGATE_SECRET_KEY" && !c.postgres():
				s.Set, s.Source = true, handlers.SettingDataFolder
			case strings.HasSuffix(from, "_FILE"):
				s.Source = handlers.SettingFile
			case strings.HasPrefix(from, "credential "):
				s.Source = handlers.SettingCredential
			}
		} else if list, ok := value.FieldByIndex(field.Index).Interface().([]string); ok {
			s.Value = strings.Join(list, ", ")
		} else {
			s.Value = fmt.Sprint(value.FieldByIndex(field.Index).Interface())
		}
		list = append(list, s)
	}
	return list
}
