/**
 * A resolve hook of Node's module loader: wherever a plugin lies, `import ... from 'sugar-server'` means the
 * server that loads it.
 */
export function resolve(
  specifier: string,
  context: { parentURL?: string },
  next: (specifier: string, context: { parentURL?: string }) => unknown,
): unknown {
  const ours = specifier === 'sugar-server' || specifier.startsWith('sugar-server/')
  return next(specifier, ours ? { ...context, parentURL: import.meta.url } : context)
}
