package apiv4

// RouteForTest is a route that openapi.yaml must describe.
type RouteForTest struct {
	Method, Path string
	Anonymous    bool
}

// RoutesForTest returns all routes of routes.go.
func RoutesForTest() []RouteForTest {
	return mapSlice((&api{}).routes(), func(r route) RouteForTest { return RouteForTest{r.method, r.path, r.anonymous} })
}
