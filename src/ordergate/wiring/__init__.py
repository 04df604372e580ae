"""The only place that names concrete adapters: settings in, a running gateway out."""
