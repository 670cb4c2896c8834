/** Texts that reach clients of the API word for word [LB control plane 1.3]. */
export const BUS_ERROR_TEXT = {
  timeout: 'nats: timeout',
  noResponders: 'nats: no responders available for request',
} as const
