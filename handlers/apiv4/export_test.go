package apiv4

// RouteForTest is a route as the description must have it.
type RouteForTest struct {
	Method, Path string
	Anonymous    bool
}

// RoutesForTest are all routes of routes.go.
func RoutesForTest() []RouteForTest {
	return mapSlice((&api{}).routes(), func(r route) RouteForTest { return RouteForTest{r.method, r.path, r.anonymous} })
}
