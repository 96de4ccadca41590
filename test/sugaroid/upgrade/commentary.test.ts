import t from 'tap'
import { needs } from '../../support/needs.js'
import { sugaroid } from '../../support/sugaroid/fake-servers.js'
import { fetchingServer, large } from '../../support/sugaroid/slow-line.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

t.test('who waits for a server that fetches the build itself is told so', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { host, port } = await fetchingServer(t, 9000, 'build-885 is being fetched; try again in a minute')
  const to = await temporaryDirectory(t)
  const { code, out } = await sugaroid('upgrade', '885', '--server', `${host}:${port}`, '--to', to)
  t.equal(code, 75)
  t.match(
    out,
    /does not list build-885\.\nFetching the manifest\.\nThe server does not have it yet and fetches it.*waiting\.\n {2}\d+ s\nThe server cannot/,
  )
})

t.test('a log is told how far it is', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { host, port } = await large(t, 300_000)
  const to = await temporaryDirectory(t)
  const { code, out, err } = await sugaroid('upgrade', '885', '--server', `${host}:${port}`, '--to', to)
  t.equal(code, 0)
  t.equal(err, '')
  t.match(out, /Fetching the tree\.\n(?: {2}[1-9]\d %, \d\.\d MB\n)+ {2}100 %, 2\.1 MB\nComparing/)
  const { out: json, err: told } = await sugaroid(
    ...['upgrade', '885', '--json', '--server', `${host}:${port}`, '--to', to],
  )
  t.match(JSON.parse(json), { outcome: 'upgraded' })
  t.match(told, /Fetching the tree\./)
})
