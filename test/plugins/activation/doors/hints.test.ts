import t from 'tap'
import { definePlugin } from '../../../../core/api.js'
import { boot } from '../../../../core/testing.js'
import activation from '../../../../plugins/activation/plugin.js'
import { Hints } from '../../../../plugins/activation/public.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'

t.test('other plugins are told which builds laptops are told to have, each once', async (t) => {
  const heard: (readonly string[])[] = []
  const ear = definePlugin({
    name: 'ear',
    api: 1,
    summary: 'Listens.',
    wants: { hints: Hints },
    start: ({ wants }) => void heard.push(wants.hints?.builds() ?? ['no service']),
  })
  const hints = 'os-build=42,build=43,old-build=42,builder=7,note=44,no-build=,build-of=8'
  for (const said of [hints, '']) {
    const settings = { 'oats-hints': said }
    const house = await boot({ plugins: [activation, ear], settings, root: await temporaryDirectory(t) })
    t.teardown(() => house.dispose())
  }
  t.same(heard, [['42', '43'], []], 'an empty text names none')
})
