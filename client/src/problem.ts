/** What is wrong with one member of a request; `msg` is a sentence in the reader's language. */
export interface Fault {
  field: string
  code: string
  msg: string
}

/** A refusal by the server (RFC 9457). `code` is stable, `msg` is one sentence for people. */
export class Problem extends Error {
  readonly status: number
  readonly code: string
  readonly msg: string
  readonly errors: readonly Fault[]
  readonly requestId: string
  /** Whole seconds after which it is worth trying again; with 429 and 503. */
  readonly retryAfter: number | undefined
  /** With `contact_unverified`: the token that lets somebody prove a contact before signing in. */
  readonly contactTicket: string | undefined

  constructor(status: number, body: Record<string, unknown>, retryAfter: string | null) {
    const msg = typeof body.msg === 'string' ? body.msg : `HTTP ${status}`
    super(msg)
    this.name = 'Problem'
    this.status = status
    this.msg = msg
    this.code = typeof body.code === 'string' ? body.code : 'unknown'
    this.errors = Array.isArray(body.errors) ? (body.errors as Fault[]) : []
    this.requestId = typeof body.request_id === 'string' ? body.request_id : ''
    this.retryAfter = retryAfter === null ? undefined : Number(retryAfter)
    this.contactTicket = typeof body.contact_ticket === 'string' ? body.contact_ticket : undefined
  }

  /** The sentences about one field, joined; empty when nothing is wrong with it. */
  about(field: string): string {
    return this.errors
      .filter((fault) => fault.field === field)
      .map((fault) => fault.msg)
      .join(' ')
  }
}

/** No answer came: no network, no server, or something in between that does not speak for it. */
export class Unreachable extends Error {
  constructor(cause: unknown) {
    super('No answer from the server.', { cause })
    this.name = 'Unreachable'
  }
}

/** Return what a failed answer says; an answer that is no problem document is something in between. */
export async function problemOf(answer: Response): Promise<Problem | Unreachable> {
  try {
    const body: unknown = await answer.json()
    if (typeof body === 'object' && body !== null && 'code' in body) {
      return new Problem(answer.status, body as Record<string, unknown>, answer.headers.get('Retry-After'))
    }
  } catch {
    // Not JSON: a proxy's own page.
  }
  return new Unreachable(`HTTP ${answer.status}`)
}
