// npm run build: the product, without its tests.
import { setUp } from './setup.mjs'

setUp('product')
