package handlers

import (
	"os"
	"testing"

	"github.com/mergegate/mergegate/cmd/mergegate/browsertest"
)

func TestMain(m *testing.M) { os.Exit(browsertest.Main(m)) }
