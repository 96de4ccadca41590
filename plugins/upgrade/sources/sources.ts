import { Directory } from './directory.js'
import { School } from './school.js'
import { type Patience, patience, type Source } from './source.js'
import { Web } from './web.js'
import { parseSource, type SourceWord } from './word.js'

/** The sources that `upgrade-sources` names, in its order. */
export const openSources = (words: readonly string[], pace: Patience = patience): Source[] =>
  words.map((word, index) => openSource(parseSource(word, index), pace))

function openSource(source: SourceWord, pace: Patience): Source {
  if (source.kind === 'http') return new Web(source.template, source.authorization, pace)
  return source.kind === 'directory' ? new Directory(source.path) : new School(source, pace)
}
