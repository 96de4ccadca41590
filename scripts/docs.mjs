// npm run docs: writes what is made from the code: the sample settings, and docs/reference/.
// With --check it writes nothing and fails when a file differs.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import ts from 'typescript'
import { home, setUp } from './setup.mjs'

const checking = process.argv.includes('--check')
if (!checking) setUp()
const [{ printSample, defaultOf }, { bundledNames, loadPlugin }, { codes }, { coreOptions }] =
  await Promise.all([
    import('../dist/core/config/print.js'),
    import('../dist/core/loading/load.js'),
    import('../dist/core/errors.js'),
    import('../dist/core/config/core-options.js'),
  ])
const plugins = await Promise.all(bundledNames().map(async (name) => (await loadPlugin(name, '/')).plugin))
const made = '<!-- Made by "npm run docs" from the code. -->'
const cell = (text) => text.replaceAll('|', '\\|')

const pages = {
  'config/sugar-server.conf': printSample(plugins),
  'docs/reference/options.md': options(),
  'docs/reference/commands.md': commands(),
  'docs/reference/errors.md': errors(),
  'docs/reference/api.md': api('dist/core/api.d.ts', 'What a plugin imports from `sugar-server`.'),
  ...Object.fromEntries(
    plugins
      .filter(({ name }) => existsSync(`${home}/dist/plugins/${name}/public.d.ts`))
      .map(({ name }) => [
        `docs/reference/plugin-${name}.md`,
        api(
          `dist/plugins/${name}/public.d.ts`,
          `What a plugin imports from \`sugar-server/plugins/${name}\`.`,
        ),
      ]),
  ),
}

function options() {
  const lines = [
    '# Options',
    '',
    made,
    '',
    'The same names in settings files and, with `--`, on the command line.',
  ]
  for (const [owner, group] of [
    ['core', coreOptions],
    ...plugins.map(({ name, options: own }) => [name, own]),
  ]) {
    lines.push('', `## ${owner}`, '', '| option | default | |', '|---|---|---|')
    for (const [name, option] of Object.entries(group)) {
      const standard = option.secret ? '' : defaultOf(option)
      lines.push(`| \`${name}\` | ${standard === '' ? '' : `\`${cell(standard)}\``} | ${cell(option.help)} |`)
    }
  }
  return `${lines.join('\n')}\n`
}

function commands() {
  const lines = [
    '# Commands of plugins',
    '',
    made,
    '',
    '`sugar-server --help` lists the commands of the house itself.',
  ]
  for (const { name, commands: own } of plugins) {
    lines.push('', `## ${name}`, '')
    for (const [word, { summary, args = {}, lists }] of Object.entries(own)) {
      const words = Object.entries(args).map(([arg, { optional }]) =>
        optional ? `[${arg.toUpperCase()}]` : arg.toUpperCase(),
      )
      lines.push(`- \`${[name, word, ...words, ...(lists ? ['[--json]'] : [])].join(' ')}\`: ${summary}`)
    }
  }
  return `${lines.join('\n')}\n`
}

function errors() {
  const lines = ['# Error codes', '', made, '', '| code | means | HTTP | exit |', '|---|---|---|---|']
  for (const [code, { means, status, exit }] of Object.entries(codes)) {
    lines.push(`| \`${code}\` | ${cell(means)} | ${status} | ${exit} |`)
  }
  return `${lines.join('\n')}\n`
}

/** The exports of a module with their declarations and docs. */
function api(file, summary) {
  const program = ts.createProgram([join(home, file)], {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: ['node'],
  })
  const checker = program.getTypeChecker()
  const module = checker.getSymbolAtLocation(program.getSourceFile(join(home, file)))
  const lines = [
    `# ${file.includes('plugins') ? `Plugin ${file.split('/')[2]}` : 'Plugin API'}`,
    '',
    made,
    '',
    summary,
  ]
  const exported = checker.getExportsOfModule(module).sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const symbol of exported) {
    const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
    const docs = ts.displayPartsToString(target.getDocumentationComment(checker))
    lines.push('', `## ${symbol.name}`, '')
    if (docs !== '') lines.push(docs, '')
    lines.push('```ts')
    for (const declaration of target.declarations ?? []) {
      const node = ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration
      lines.push(node.getText().replace(/^(export )?(declare )?/, ''))
    }
    lines.push('```')
  }
  return `${lines.join('\n')}\n`
}

let stale = 0
for (const [path, text] of Object.entries(pages)) {
  const file = join(home, path)
  let standing = ''
  try {
    standing = readFileSync(file, 'utf8')
  } catch {
    // It is to be made.
  }
  if (standing === text) continue
  stale += 1
  if (checking) console.error(`${path} is not what the code says: run "npm run docs"`)
  else {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
    console.log(`wrote ${path}`)
  }
}
process.exitCode = checking && stale > 0 ? 1 : 0
