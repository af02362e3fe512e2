/** Types of roomtide.js. Copy this file beside your own, or declare the module's address with it. */

export interface Options {
  /** A guest's name, where the server accepts guests. */
  user?: string;
  /** A token, or a function that is asked for one before each connection. */
  token?: string | (() => string | Promise<string>);
  /** The name that others see. */
  name?: string;
  /** The server's WebSocket, such as wss://chat.example.org/ws; beside the module unless given. */
  url?: string;
  /** Keeps the outbox; localStorage, or memory where that is blocked, unless given. */
  storage?: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;
}

export type State = 'connecting' | 'online' | 'waiting' | 'stopped';
export type Role = 'none' | 'member' | 'moderator' | 'owner' | 'banned' | 'muted';

export interface Member {
  name?: string;
  avatar?: string;
  data?: unknown;
  role: Role;
  until?: string;
}

export interface Reaction {
  emoji: string;
  count: number;
  users: string[];
}

export interface Message {
  seq: number;
  rev: number;
  user: string;
  name?: string;
  message: string;
  time: string;
  key?: string;
  reply_to?: number;
  /** Members that it mentions. */
  mentions?: string[];
  data?: unknown;
  edited?: string;
  deleted?: boolean;
  reactions?: Reaction[];
}

/** An event of the server, see docs/protocol. */
export interface Frame extends Partial<Message> {
  type: string;
  room: string;
  [field: string]: unknown;
}

/**
 * A message that is not stored yet. accepted: the server keeps it in its durable queue, and
 * will store it or refuse it. error: it was refused.
 */
export interface Item {
  readonly key: string;
  readonly room: string;
  readonly message: string;
  readonly reply_to?: number;
  readonly mentions?: string[];
  readonly time: string;
  readonly accepted?: boolean;
  readonly error?: string;
  readonly code?: string;
}

export class RoomtideError extends Error {
  code: string;
  retryAfter?: number;
}

export class RoomEvent extends Event {
  room: Room;
  frame?: Frame;
}

export class Room {
  readonly id: string;
  title: string;
  open: boolean;
  readOnly: boolean;
  archived: boolean;
  role: Role;
  rev: number;
  seq: number;
  messages: Message[];
  more: boolean;
  later: boolean;
  topic: string;
  avatar: string;
  data?: unknown;
  members: Map<string, Member>;
  names: Map<string, string>;
  memberCount: number;
  online: Set<string>;
  onlineCount: number;
  /** Who is online may be out of date: the server cannot ask all of its nodes now. */
  degraded: boolean;
  unread: number;
  unreadMore: boolean;
  read: number;
  marks: Map<string, number>;
  typing: Map<string, number>;
  error: string;
  code: string;
  last: Message | null;
  moved: number;
  wanted: boolean;
  joined: boolean;
  resuming: boolean;
  flushing: boolean;
  marking: boolean;
  loading: boolean;
  known: boolean;
  get name(): string;
  get first(): number;
  get end(): number;
  get newest(): Message | null;
  get present(): boolean;
  get writable(): boolean;
  get moderates(): boolean;
  nameOf(user: string): string;
  avatarOf(user: string): string;
  authorOf(message: Message): string;
  find(seq: number): Message | undefined;
}

export class Outbox {
  of(room: string): Item[];
}

export class Roomtide extends EventTarget {
  constructor(options: Options);
  state: State;
  reason: string;
  code: string;
  retryAt: number;
  user: string;
  name: string;
  guest: boolean;
  limits: Record<string, number>;
  /** The key for which browsers subscribe to Web Push; empty if the server has none. See push.js. */
  webPushKey: string;
  rooms: Map<string, Room>;
  listed: boolean;
  outbox: Outbox;
  connect(): void;
  close(reason?: string, code?: string): void;
  retryNow(): void;
  join(room: string, page?: number): Room;
  leave(room: string): Promise<void>;
  send(room: string, text: string, replyTo?: number, mentions?: string[]): Item;
  resend(item: Item): void;
  discard(item: Item): void;
  edit(room: string, seq: number, message: string): Promise<Frame>;
  delete(room: string, seq: number): Promise<Frame>;
  react(room: string, seq: number, emoji: string, on: boolean): Promise<Frame>;
  read(room: string, upTo?: number): Promise<void>;
  typing(room: string, on: boolean): void;
  older(room: string, limit?: number): Promise<void>;
  newer(room: string, limit?: number): Promise<void>;
  around(room: string, seq: number): Promise<void>;
  latest(room: string): Promise<void>;
  quote(room: string, seq: number): Promise<Message | null>;
  request(type: string, fields?: Record<string, unknown>): Promise<Frame>;
  insist(type: string, fields?: Record<string, unknown>): Promise<Frame>;
  tell(type: string, fields?: Record<string, unknown>): void;
  addEventListener(type: 'state' | 'rooms', listener: (event: Event) => void): void;
  addEventListener(type: 'room', listener: (event: RoomEvent) => void): void;
}
