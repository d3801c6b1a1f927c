// Uploads a file with tus-js-client: node send.mjs ENDPOINT TOKEN FILE CHUNK METADATA STORE [STOP_AT]
// With STOP_AT it ends as if killed once so many bytes are acknowledged; run again, it resumes.
import fs from 'node:fs'
import * as tus from 'tus-js-client'

const [endpoint, token, path, chunk, metadata, store, stopAt] = process.argv.slice(2)
const upload = new tus.Upload(fs.createReadStream(path), {
  endpoint,
  headers: { Authorization: `Bearer ${token}` },
  chunkSize: Number(chunk),
  uploadSize: fs.statSync(path).size,
  metadata: JSON.parse(metadata),
  urlStorage: new tus.FileUrlStorage(store),
  fingerprint: async () => path,
  storeFingerprintForResuming: true,
  retryDelays: [200, 500, 1000, 2000, 4000],
  onChunkComplete: (_size, accepted) => {
    console.log(`accepted ${accepted}`)
    if (stopAt && accepted >= Number(stopAt)) process.exit(3)
  },
  onError: (error) => { console.error(String(error)); process.exit(1) },
  onSuccess: () => { console.log('done'); process.exit(0) },
})
const earlier = await upload.findPreviousUploads()
if (earlier.length) {
  upload.resumeFromPreviousUpload(earlier[0])
  console.log('resuming')
}
upload.start()
