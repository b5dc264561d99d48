"""Content by CID: one store interface, an embedded block store, and Kubo. Start at `connect.connect_store`."""
