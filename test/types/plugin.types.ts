/**
 * What the compiler promises to whoever writes a plugin. Nothing here runs: the build proves it. A line under
 * `@ts-expect-error` that compiles all of a sudden is an error, so each promise is kept or seen to be broken.
 */

import {
  type CollectionSpec,
  choice,
  definePlugin,
  each,
  type Fold,
  flag,
  fold,
  type Gate,
  gate,
  integer,
  list,
  type News,
  news,
  paths,
  port,
  program,
  Store,
  text,
  token,
  writable,
} from '../../core/api.js'

interface Users {
  count(): number
}
interface Clock {
  now(): string
}
interface Note {
  name: string
  year: number
  tags: string[]
  text?: string
}

const users = token<Users>('id/users@1')
const clock = token<Clock>('clock/clock@1')
const admit: Gate<{ uid: string }> = gate('id/admit@1')
const enrol: Fold<{ server?: string }, { uid: string }> = fold('id/enrol@1')
const registered: News<{ uid: string }> = news('id/registered@1')

const notes: CollectionSpec<Note> = { key: 'name', indexes: ['year', 'tags'], version: 2 }

const head = { api: 1, summary: 'a plugin' } as const
const options = {
  'notes-port': port({ help: 'Port.', default: 0 }),
  'notes-most': integer({ help: 'Most.', default: 1, min: 1, max: 9 }),
  'notes-title': text({ help: 'Title.', default: '' }),
  'notes-loud': flag({ help: 'Loud.', default: false }),
  'notes-kind': choice({ help: 'Kind.', default: 'big', of: ['big', 'small'] }),
  'notes-words': list({ help: 'Words.', default: [] }),
} as const

// A plugin that uses all there is compiles, and each thing has the type it was declared with.

export const whole = definePlugin({
  name: 'notes',
  ...head,
  options,
  needs: { users },
  wants: { clock },
  provides: { again: clock, users: token<Users>('notes/users@1') },
  collections: { notes },
  system: [program('sh', { package: 'dash' }), writable('root')],
  commands: {
    add: {
      summary: 'add a note',
      args: { name: { help: 'name' }, text: { help: 'text', optional: true } },
      options: { year: integer({ help: 'Year.', default: 1, min: 1, max: 9 }) },
    },
    all: { summary: 'list notes', lists: true },
  },
  prepare({ config, log }) {
    log.info(config['notes-title'].toUpperCase())
    log.info(config.root.toUpperCase())
  },
  async start(ctx) {
    const most: number = ctx.config['notes-most']
    const loud: boolean = ctx.config['notes-loud']
    const kind: 'big' | 'small' = ctx.config['notes-kind']
    const words: readonly string[] = ctx.config['notes-words']
    const plugins: readonly string[] = ctx.config.plugins
    const count: number = ctx.needs.users.count()
    const now: string | undefined = ctx.wants.clock?.now()
    ctx.log.info({ most, loud, kind, words, plugins, count, now }, 'all of it')

    ctx.tap(admit, ({ uid }) => ctx.log.info(uid))
    ctx.tap(enrol, async (answer, { uid }) => (answer.server === undefined ? { server: uid } : undefined), {
      order: -1,
    })
    ctx.tap(registered, async ({ uid }) => ctx.log.info(uid))
    await ctx.ask(admit, { uid: 'a' })
    const { server } = await ctx.gather(enrol, {}, { uid: 'a' })
    ctx.tell(registered, { uid: server ?? 'a' })

    const { notes } = ctx.store
    const note = await notes.insert({ name: 'a', year: 1, tags: [] })
    const rev: number = note.rev
    const changed = await notes.update(note.name, rev, { year: note.year + 1, text: 'b' })
    const found = await notes.find({ year: changed.year, tags: 'old' }, { by: 'year', after: note, limit: 1 })
    for await (const { tags } of each(notes, { text: 'b' })) ctx.log.info({ tags, found }, 'notes')

    ctx.command('add', ({ args, options }) => {
      const name: string = args.name
      const optional: string | undefined = args.text
      const year: number = options.year
      return optional === undefined ? year : name.length
    })
    ctx.command('all', async ({ list, signal }) => {
      if (!signal.aborted) list([{ a: 1 }], [{ title: 'a', text: ({ a }) => a.toFixed() }])
    })
    ctx.defer(() => true)
    ctx.every(60, async () => undefined)
    ctx.health('disk', () => undefined)
    ctx.on('drain', () => undefined)
    ctx.http.listener('notes-port').get('/notes', (http) => {
      http.body = 'notes'
    })
    return { again: { now: () => 'noon' }, users: ctx.needs.users }
  },
})

export const least = definePlugin({ name: 'least', api: 1, summary: 'does nothing', start() {} })

export const withStore = definePlugin({
  name: 'mysql',
  ...head,
  provides: { store: Store },
  start: () => ({
    store: {
      open: async () => {
        throw new Error('not here')
      },
      status: () => ({ driver: 'mysql', repairs: [] }),
      close: async () => undefined,
    },
  }),
})

// What a plugin is.

export const future = definePlugin({
  name: 'future',
  // @ts-expect-error: it is written for this plugin API, or is refused.
  api: 2,
  summary: 'is early',
  start() {},
})

// @ts-expect-error: it says in a line what it is.
export const silent = definePlugin({ name: 'silent', api: 1, start() {} })

// @ts-expect-error: it can be started.
export const inert = definePlugin({ name: 'inert', ...head })

// @ts-expect-error: a key that is no part of a plugin is a slip of the pen.
export const misspelt = definePlugin({ name: 'misspelt', ...head, optoins: {}, start() {} })

export const optional = definePlugin({
  name: 'optional',
  ...head,
  options: {
    // @ts-expect-error: an option has a default of its own kind.
    'optional-port': port({ help: 'Port.', default: '8000' }),
    // @ts-expect-error: a choice's default is one of its words.
    'optional-kind': choice({ help: 'Kind.', default: 'huge', of: ['big', 'small'] }),
  },
  start() {},
})

export const untokened = definePlugin({
  name: 'untokened',
  ...head,
  // @ts-expect-error: services are asked for by tokens, not by words.
  needs: { users: 'id/users@1' },
  start() {},
})

// @ts-expect-error: a token's id ends in the number of its contract.
export const unnumbered = token<Users>('id/users')

// Its settings.

export const reading = definePlugin({
  name: 'reading',
  ...head,
  options,
  prepare({ config }) {
    // @ts-expect-error: prepare() has the same settings, and no others.
    config['notes-prot']
  },
  start({ config }) {
    // @ts-expect-error: an option nobody declared is not there.
    config['notes-prot']
    // @ts-expect-error: an option has the type of its kind.
    const title: number = config['notes-title']
    // @ts-expect-error: a choice is one of its words.
    if (config['notes-kind'] === 'huge') return
    // @ts-expect-error: settings are read, never written.
    config['notes-port'] = title
    // @ts-expect-error: nor are the house's.
    config.hostname = 'mine'
  },
})

// The services it uses.

export const using = definePlugin({
  name: 'using',
  ...head,
  needs: { users },
  wants: { clock },
  start(ctx) {
    // @ts-expect-error: a service that was not asked for is not given.
    ctx.needs.backups
    // @ts-expect-error: what is merely wanted is not among what is needed.
    ctx.needs.clock
    // @ts-expect-error: an optional service may be absent: `?.`
    ctx.wants.clock.now()
    // @ts-expect-error: a service is what its token says.
    ctx.needs.users.now()
  },
})

export const alone = definePlugin({
  name: 'alone',
  ...head,
  start(ctx) {
    // @ts-expect-error: who asked for nothing is given nothing.
    ctx.needs.users
    // @ts-expect-error: nor may he hope for anything.
    ctx.wants.users
    // @ts-expect-error: nor has he documents.
    ctx.store.notes
    // @ts-expect-error: nor commands.
    ctx.command('go', () => undefined)
  },
})

// The services it provides.

export const forgetful = definePlugin({
  name: 'forgetful',
  ...head,
  provides: { clock, users },
  // @ts-expect-error: start() returns each service it promised.
  start: () => ({ clock: { now: () => 'noon' } }),
})

export const empty = definePlugin({
  name: 'empty',
  ...head,
  provides: { clock },
  // @ts-expect-error: start() returns what it promised, not nothing.
  start() {},
})

export const lying = definePlugin({
  name: 'lying',
  ...head,
  provides: { clock },
  // @ts-expect-error: a service is what its token says.
  start: () => ({ clock: { now: () => 12 } }),
})

export const generous = definePlugin({
  name: 'generous',
  ...head,
  // @ts-expect-error: who promised nothing returns nothing.
  start: () => ({ clock: { now: () => 'noon' } }),
})

export const later = definePlugin({
  name: 'later',
  ...head,
  provides: { clock },
  // @ts-expect-error: the same for an asynchronous start().
  async start() {
    return { clock: { now: () => 12 } }
  },
})

// Its documents.

// @ts-expect-error: a collection's key is a field of its documents.
export const unkeyed: CollectionSpec<Note> = { key: 'nick' }

// @ts-expect-error: so is what it is indexed by.
export const unindexed: CollectionSpec<Note> = { key: 'name', indexes: ['size'] }

export const keeping = definePlugin({
  name: 'keeping',
  ...head,
  collections: { notes },
  async start({ store }) {
    // @ts-expect-error: a collection that was not declared is not there.
    store.letters
    // @ts-expect-error: a document has all its fields.
    await store.notes.insert({ name: 'a', year: 1 })
    // @ts-expect-error: and no others.
    await store.notes.insert({ name: 'a', year: 1, tags: [], size: 1 })
    // @ts-expect-error: a field has its type.
    await store.notes.insert({ name: 'a', year: '1', tags: [] })
    // @ts-expect-error: documents are found by fields they have.
    await store.notes.find({ size: 1 })
    // @ts-expect-error: and by text or numbers, never by an operator of the database.
    await store.notes.find({ name: { $ne: '' } })
    // @ts-expect-error: they are ordered by fields they have.
    await store.notes.find({}, { by: 'size' })
    // @ts-expect-error: they are counted by fields they have.
    await store.notes.count({ size: 1 })
    // @ts-expect-error: they are changed in fields they have.
    await store.notes.update('a', 1, { size: 1 })
    // @ts-expect-error: a change says which version it is made to.
    await store.notes.update('a', { year: 1 })
    const note = await store.notes.get('a')
    // @ts-expect-error: a document may not be there.
    note.year
    // @ts-expect-error: what was read is not written to.
    if (note !== undefined) note.year = 2
  },
})

// Its hooks.

export const tapping = definePlugin({
  name: 'tapping',
  ...head,
  async start(ctx) {
    // @ts-expect-error: a gate's tap answers nothing: it throws, or lets pass.
    ctx.tap(admit, () => ({ refused: true }))
    // @ts-expect-error: a question has the fields of its hook.
    ctx.tap(admit, ({ serial }) => void serial)
    // @ts-expect-error: a fold's tap adds what the answer may hold.
    ctx.tap(enrol, () => ({ server: 5 }))
    ctx.tap(enrol, (answer) => {
      // @ts-expect-error: an answer is not written to, it is added to.
      answer.server = 'mine'
      return undefined
    })
    // @ts-expect-error: an event has the type of its hook.
    ctx.tap(registered, (event: { serial: string }) => void event)
    // @ts-expect-error: a question has all its fields.
    await ctx.ask(admit, {})
    // @ts-expect-error: gates are asked, folds are gathered.
    await ctx.ask(enrol, { uid: 'a' })
    // @ts-expect-error: an answer begins as what it is.
    await ctx.gather(enrol, { server: 5 }, { uid: 'a' })
    // @ts-expect-error: an event is told whole.
    ctx.tell(registered, {})
    // @ts-expect-error: there are two moments.
    ctx.on('start', () => undefined)
  },
})

// Its commands.

export const commanding = definePlugin({
  name: 'commanding',
  ...head,
  commands: {
    add: {
      summary: 'add',
      args: { name: { help: 'name' }, text: { help: 'text', optional: true } },
      options: { times: integer({ help: 'Times.', default: 1, min: 1, max: 9 }) },
    },
    plain: { summary: 'no options' },
    look: {
      summary: 'look at a file where it was typed',
      args: { file: { help: 'file', path: true } },
      options: { trust: paths({ help: 'Keys.' }) },
      here: async () => ({
        run: ({ args, options }: { args: { file: string }; options: { trust: readonly string[] } }) =>
          args.file.length + options.trust.length,
      }),
    },
  },
  start(ctx) {
    // @ts-expect-error: what runs where it is typed says so itself.
    ctx.command('look', () => undefined)
    // @ts-expect-error: a command is declared before it is given.
    ctx.command('remove', () => undefined)
    ctx.command('add', ({ args, options }) => {
      // @ts-expect-error: an argument nobody declared is not there.
      args.nick
      // @ts-expect-error: an optional argument may be absent.
      args.text.length
      // @ts-expect-error: an option of a command has the type of its kind.
      const times: string = options.times
      // @ts-expect-error: and is there only when declared.
      options.time
      return times.length
    })
    // @ts-expect-error: a command ends with a number, or with nothing.
    ctx.command('plain', () => 'done')
    ctx.command('plain', ({ options }) => {
      // @ts-expect-error: a command without options has none.
      const year: number = options.year
      return year
    })
  },
})

export const elsewhere = definePlugin({
  name: 'elsewhere',
  ...head,
  commands: {
    look: {
      summary: 'look',
      args: { file: { help: 'file', path: true } },
      // @ts-expect-error: it takes the call that its command declares.
      here: async () => ({ run: ({ args }: { args: { folder: string } }) => args.folder.length }),
    },
  },
  start() {},
})
