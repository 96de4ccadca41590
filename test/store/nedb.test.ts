import t from 'tap'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { NedbStore } from '../../core/store/nedb/store.js'
import { conformance } from './conformance.js'

const home = await mkdtemp(join(tmpdir(), 'sugar-store-'))
t.teardown(() => rm(home, { recursive: true, force: true }))
const log = pino({ level: 'silent' })
conformance(t, 'nedb', async (place) => new NedbStore(join(home, place), log))
