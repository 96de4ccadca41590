import { definePlugin } from '../../../core/api.js'
import { Builds } from '../../../plugins/rsync/public.js'

/** A plugin that brings builds, as others may. */
class Adopter {
  #builds: Builds | undefined

  /** What rsync offers to other plugins; there while a house with the plugin runs. */
  get builds(): Builds {
    if (this.#builds === undefined) throw new Error('the plugin has not started')
    return this.#builds
  }

  readonly plugin = definePlugin({
    name: 'adopter',
    api: 1,
    summary: 'Brings builds.',
    needs: { builds: Builds },
    start: ({ needs }) => {
      this.#builds = needs.builds
    },
  })
}

export const adopter = new Adopter()
