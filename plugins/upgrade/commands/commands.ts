export { fetch } from './fetch.js'
export { gc } from './gc.js'
export { remove, stick, unstick } from './keeping.js'
export { list } from './list.js'
