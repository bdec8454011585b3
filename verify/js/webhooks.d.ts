/** Why a message was refused. */
export type RefusedCode = "malformed" | "forged" | "stale" | "early" | "replayed";

/** The message must not be acted on: answer 400, and look at nothing in it. */
export class WebhookRefusedError extends Error {
  readonly name: "WebhookRefusedError";
  readonly code: RefusedCode;
  constructor(code: RefusedCode, message: string);
}

/** More messages came within the tolerance than can be remembered: answer 503, and give the cache more room. */
export class ReplayCacheFullError extends Error {
  constructor(most: number);
}

/** Remembers which messages were accepted, for all processes that accept them. */
export interface ReplayCache {
  /**
   * Remember `key` until that unix time and give true; give false, changing nothing, when it is remembered.
   * It must be atomic. What throws or rejects makes the message unaccepted.
   */
  first(key: string, until: number): boolean | Promise<boolean>;
}

/** Remembers accepted messages in this process's memory: bounded, and empty after a restart. */
export class MemoryReplayCache implements ReplayCache {
  constructor(options?: { most?: number; now?: () => number });
  readonly size: number;
  first(key: string, until: number): boolean;
}

export interface WebhookEvent {
  type: string;
  timestamp: string;
  data?: unknown;
  [member: string]: unknown;
}

export interface VerifierOptions {
  /** `whsec_…` shared secrets that may sign now: while they rotate, old and new. */
  secrets?: readonly string[];
  /** `whpk_…` public keys that may sign now. */
  publicKeys?: readonly string[];
  /** Seconds by which a message may be old, or ahead; 300 when not given. */
  tolerance?: number;
  /** In this process's memory when not given; give one that all your processes share when there are several. */
  replayCache?: ReplayCache;
  /** The clock, in unix seconds. */
  now?: () => number;
}

export type WebhookHeaders = Headers | Map<string, string> | Record<string, string | string[] | undefined>;

/** Judges webhooks of one sender; make one and keep it. */
export class WebhookVerifier {
  constructor(options: VerifierOptions);
  /** Give the event of a message that is genuine, fresh and new; reject with `WebhookRefusedError` otherwise. */
  verify(headers: WebhookHeaders, body: string | ArrayBuffer | Uint8Array): Promise<WebhookEvent>;
}
