package models_test

import (
	"os"
	"testing"

	"github.com/mergegate/mergegate/models/modelstest"
)

func TestMain(m *testing.M) { os.Exit(modelstest.Main(m)) }
