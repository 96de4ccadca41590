/** What a method call is made of, to be put together wrongly. */
export const markup = [
  ...['methodCall', 'methodName', 'params', 'param', 'value', 'string', 'struct', 'member', 'name', 'array'],
  ...['data', 'base64', 'boolean', 'i8', 'script'],
].flatMap((name) => [`<${name}>`, `</${name}>`])

/** What XML knows besides elements, whole and cut. */
export const oddities = [
  ...['<nil/>', '<![CDATA[', ']]>', '<!--', '-->', '<?xml', '?>', '<!', '/>', '<', '&', '"', ' '],
  ...['&#xD800;', '&#x110000;', '&#0;', '&#x;', '&amp;', '__proto__', 'constructor', '\0'],
]
