"""The pages and the local API, as a browser meets them."""
