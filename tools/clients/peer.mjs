// The tus server that benchmarks stand beside: node peer.mjs FOLDER; prints its port.
import { FileStore } from '@tus/file-store'
import { Server } from '@tus/server'

const server = new Server({ path: '/files', datastore: new FileStore({ directory: process.argv[2] }) })
  .listen({ host: '127.0.0.1', port: 0 }, () => console.log(server.address().port))
