import { moduleName } from '../public.js'

/** In an rsyncd.conf, names that differ only in case are one; not so when a client asks. */
export const isAlike = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase()

/** Whether a module can be called so: in an rsyncd.conf `[global]` is none. */
export const isModuleName = (name: string): boolean => moduleName.test(name) && !isAlike(name, 'global')

/** Names that only builds have: `builds` holds them all, `build-885` is one. */
export const isReserved = (name: string): boolean => /^(?:builds$|build-)/i.test(name)
