import { exit } from '../../errors.js'
import type { Story } from '../../explain.js'
import { printable, printableJson } from '../../log/printable.js'
import type { HouseCommand } from '../command.js'
import { withServer } from '../solo.js'

export const explain: HouseCommand = {
  name: 'explain',
  summary: 'Tell all that is known of one laptop or learner.',
  args: { who: { help: "A laptop's serial or uuid, or a learner's uid." } },
  lists: true,
  async run({ plan, args, json, output }) {
    const who = args.who ?? ''
    const story = await withServer(
      plan,
      async (server) => (await server.get(`/explain?who=${encodeURIComponent(who)}`)) as Story,
      (house) => house.explain(who),
    )
    const chapters = Object.entries(story)
    if (json) {
      output.out(
        `${printableJson(Object.fromEntries(chapters.map(([plugin, { facts }]) => [plugin, facts])))}\n`,
      )
    } else {
      for (const [plugin, { lines }] of chapters)
        output.out(`${plugin}\n${lines.map((line) => `  ${printable(line)}\n`).join('')}`)
      if (chapters.length === 0)
        output.err(
          `sugar-server: no plugin knows ${printable(who)}\n  "sugar-server id list" shows who is registered\n`,
        )
    }
    return chapters.length === 0 ? exit.noInput : exit.ok
  },
}
