"""One attention socket, many plugs: `socket` says how one is called, `table` lists them all."""
