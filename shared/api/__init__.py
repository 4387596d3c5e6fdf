"""The shapes that go over HTTP: routers answer with them, the client reads them back."""
