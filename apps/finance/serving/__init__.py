"""The finance monitor over HTTP: routes, what they call, and the shapes of their answers."""
