/** What the server reports of a client over TCP. Texts a client chose are as it sent them. */
export type ClientEvent =
  | {
      readonly kind: 'client-connected'
      readonly id: number
      readonly name: string
      readonly lang: string
      readonly version: string
      /** '' where everybody may connect. */
      readonly user: string
    }
  | { readonly kind: 'unauthorized'; readonly id: number; readonly user: string }
  | {
      readonly kind: 'permission-violation'
      readonly id: number
      readonly user: string
      readonly text: string
    }
  | { readonly kind: 'slow-consumer'; readonly id: number; readonly name: string }
