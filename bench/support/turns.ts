/** What one try took. */
export interface Taken {
  readonly seconds: number
  /** Seconds of processor time of the side under measurement, when it is known. */
  readonly work?: number
}

/**
 * Runs all sides once a round, in an order that turns around from round to round, so that what disturbs the machine
 * disturbs all.
 */
export async function inTurn<S extends string>(
  rounds: number,
  sides: Readonly<Record<S, (round: number) => Promise<Taken>>>,
): Promise<Record<S, Taken[]>> {
  const names = Object.keys(sides) as S[]
  const taken = Object.fromEntries(names.map((name) => [name, [] as Taken[]])) as Record<S, Taken[]>
  for (let round = 0; round < rounds; round += 1) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      taken[name].push(await sides[name](round))
    }
  }
  return taken
}
