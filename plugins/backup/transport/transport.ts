/** A way by which laptops reach their sessions. */
export interface Transport {
  /** For `status`: where it listens, or what an operator has to set up. */
  readonly where: string
  /** Connections that are open now. */
  readonly connections: number
  /** Ends every connection; sessions under way are told. */
  close(): Promise<void>
}
