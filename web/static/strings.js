/** All texts of the page, once per language. */

const languages = {
  en: {
    welcome: 'Pick a name and come in.',
    yourName: 'Your name',
    haveToken: 'I have a token',
    token: 'Token',
    enter: 'Enter',
    rooms: 'Rooms',
    people: 'People',
    messages: 'Messages',
    close: 'Close',
    cancel: 'Cancel',
    open: 'Open',
    openRoom: 'Join or create a room',
    signOut: 'Sign out',
    online: 'Online',
    andMore: 'and {n} more',
    leave: 'Leave room',
    leaveSure: 'Really leave?',
    message: 'Message',
    send: 'Send',
    tryNow: 'Try now',
    askPush: 'Be told of new messages when you are away?',
    turnOn: 'Turn on',
    pushFailed: 'Notifications could not be turned on.',
    connecting: 'Connecting…',
    waiting: 'No connection. Trying again in {n} s.',
    newest: '↓ Newest',
    newBelow: '↓ {n} new',
    newHere: 'New',
    beginning: 'This is the beginning of {room}.',
    loading: 'Loading…',
    typing1: '{a} is typing…',
    typing2: '{a} and {b} are typing…',
    typingMany: 'Several people are typing…',
    you: 'you',
    edited: 'edited',
    deleted: 'Message deleted',
    sending: 'Sending',
    accepted: 'Accepted by the server',
    sent: 'Sent',
    failed: 'Not sent: {why}',
    retry: 'Try again',
    discard: 'Discard',
    react: 'React',
    reply: 'Reply',
    edit: 'Edit',
    delete: 'Delete',
    deleteSure: 'Delete?',
    replyingTo: 'Reply to {name}: {text}',
    editing: 'Editing your message',
    seenBy: 'Seen by {names}',
    messageN: 'Message {n}',
    readOnly: 'Only moderators may write here.',
    muted: 'You are muted in this room.',
    silent: 'You cannot write here.',
    offline: 'You are offline. What you write is sent when the connection is back.',
    joinRoom: 'Join a room',
    askRoom: 'You are not in “{room}” yet. Its members will see you when you join.',
    askMake: 'You are not in “{room}” yet. Its members will see you when you join. If there is no such room, you create it.',
    join: 'Join',
    rejoin: 'Join again',
    noRoom: 'You are in no room yet. Open one by its name, or ask its members to add you.',
    toMessages: 'To the messages',
    tooLong: 'The message is too long by {n} characters.',
    guestsOff: 'This server lets in users with a token only, which the site you come from gives to you.',
    no_unauthenticated: 'The token is not valid any more. Sign in again.',
    no_expired: 'Your session has ended. Sign in again.',
    no_revoked: 'An administrator has ended your session.',
    no_another_user: 'The token is for another user.',
    no_banned: 'You are banned from this room.',
    no_removed: 'You are no longer a member of this room.',
    no_deleted: 'This room was deleted.',
    no_not_member: 'You are not a member of this room.',
    no_rate_limited: 'Too fast. Try again in a moment.',
    no_busy: 'The server is busy. Try again in a moment.',
    no_unavailable: 'A part of the server is down. Try again later.',
    no_read_only: 'The server cannot store anything at the moment.',
    no_too_large: 'It is too long.',
    no_conflict: 'It was sent before with another text.',
    no_internal: 'The server has made a mistake. Try again later.',
    no_closed: 'Not connected. Try again in a moment.',
    no_draining: 'the server is restarting',
    join_forbidden: 'This room is by invitation. Ask one of its members to add you.',
    join_not_found: 'There is no room of this name.',
    join_invalid: 'A room cannot have this name.',
    send_forbidden: 'you may not write here',
    send_not_member: 'you are not a member of this room',
    act_forbidden: 'You may not do that.',
    act_not_found: 'This message is gone.',
  },
  zh: {
    welcome: '取个名字，开始聊天。',
    yourName: '你的名字',
    haveToken: '我有令牌',
    token: '令牌',
    enter: '进入',
    rooms: '房间',
    people: '成员',
    messages: '消息',
    close: '关闭',
    cancel: '取消',
    open: '打开',
    openRoom: '加入或创建房间',
    signOut: '退出',
    online: '在线',
    andMore: '还有 {n} 人',
    leave: '离开房间',
    leaveSure: '确定离开？',
    message: '输入消息',
    send: '发送',
    tryNow: '立即重试',
    askPush: '离开时接收新消息通知？',
    turnOn: '开启',
    pushFailed: '无法开启通知。',
    connecting: '正在连接…',
    waiting: '连接已断开，{n} 秒后重试。',
    newest: '↓ 最新消息',
    newBelow: '↓ {n} 条新消息',
    newHere: '新消息',
    beginning: '这里是“{room}”的开头。',
    loading: '正在加载…',
    typing1: '{a} 正在输入…',
    typing2: '{a} 和 {b} 正在输入…',
    typingMany: '多人正在输入…',
    you: '你',
    edited: '已编辑',
    deleted: '消息已删除',
    sending: '发送中',
    accepted: '服务器已接收',
    sent: '已发送',
    failed: '发送失败：{why}',
    retry: '重试',
    discard: '删除',
    react: '回应',
    reply: '回复',
    edit: '编辑',
    delete: '删除',
    deleteSure: '确定删除？',
    replyingTo: '回复 {name}：{text}',
    editing: '正在编辑消息',
    seenBy: '{names} 已读',
    messageN: '第 {n} 条消息',
    readOnly: '只有管理员可以在此发言。',
    muted: '你在此房间已被禁言。',
    silent: '你不能在此发言。',
    offline: '当前离线。你写的内容会在恢复连接后发送。',
    joinRoom: '加入房间',
    askRoom: '你不在“{room}”中。加入后，房间成员会看到你。',
    askMake: '你不在“{room}”中。加入后，房间成员会看到你。如果还没有这个房间，将会创建它。',
    join: '加入',
    rejoin: '重新加入',
    noRoom: '你还没有加入任何房间。可以输入名称打开房间，或请成员添加你。',
    toMessages: '跳到消息',
    tooLong: '消息超出 {n} 个字符。',
    guestsOff: '此服务器只接受持令牌的用户，令牌由你来自的网站提供。',
    no_unauthenticated: '令牌已失效，请重新登录。',
    no_expired: '登录已过期，请重新登录。',
    no_revoked: '管理员已结束你的会话。',
    no_another_user: '令牌属于另一个用户。',
    no_banned: '你已被禁止进入此房间。',
    no_removed: '你已不是此房间的成员。',
    no_deleted: '此房间已被删除。',
    no_not_member: '你不是此房间的成员。',
    no_rate_limited: '操作太快，请稍后再试。',
    no_busy: '服务器繁忙，请稍后再试。',
    no_unavailable: '服务器部分不可用，请稍后再试。',
    no_read_only: '服务器暂时无法保存内容。',
    no_too_large: '内容太长。',
    no_conflict: '此消息已用其他内容发送过。',
    no_internal: '服务器出错，请稍后再试。',
    no_closed: '尚未连接，请稍后再试。',
    no_draining: '服务器正在重启',
    join_forbidden: '此房间需要邀请，请联系房间成员添加你。',
    join_not_found: '没有这个名称的房间。',
    join_invalid: '不能使用这个房间名称。',
    send_forbidden: '你不能在此发言',
    send_not_member: '你不是此房间的成员',
    act_forbidden: '你没有权限这样做。',
    act_not_found: '这条消息已不存在。',
  },
};

export const lang = navigator.language.startsWith('zh') ? 'zh-CN' : 'en';
const table = languages[lang.slice(0, 2)];
// Times are in the language of the page, with the hours as the user's own language has them.
const locale = lang === 'en' ? (navigator.languages.find((l) => l.startsWith('en')) ?? 'en') : lang;
const { hourCycle } = new Intl.DateTimeFormat(navigator.language, { hour: 'numeric' }).resolvedOptions();

/** The words for key, with {name} replaced by vars.name. */
export function t(key, vars = {}) {
  return table[key].replace(/\{(\w+)\}/g, (_, name) => vars[name] ?? '');
}

/** The same as text and nodes: each of vars keeps its own direction. */
export function words(key, vars) {
  return table[key].split(/\{(\w+)\}/).map((part, i) => {
    if (i % 2 === 0) return part;
    return Object.assign(document.createElement('bdi'), { textContent: vars[part] ?? '' });
  });
}

/** The page's words for a code of the protocol, for doing (join, send, act) or at all; else the given text. */
export function say(doing, code, text) {
  return table[`${doing}_${code}`] ?? table[`no_${code}`] ?? text;
}

/** Writes the words into the static page: data-t, data-label and data-hint. */
export function translate(root) {
  document.documentElement.lang = lang;
  for (const node of root.querySelectorAll('[data-t]')) node.textContent = t(node.dataset.t);
  for (const node of root.querySelectorAll('[data-label]')) {
    node.setAttribute('aria-label', t(node.dataset.label));
    if (node.tagName === 'BUTTON') node.title = t(node.dataset.label);
  }
  for (const node of root.querySelectorAll('[data-hint]')) node.placeholder = t(node.dataset.hint);
}

const clock = new Intl.DateTimeFormat(locale, { hour: 'numeric', minute: '2-digit', hourCycle });
const date = new Intl.DateTimeFormat(locale, { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });
const short = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short' });
const moment = new Intl.DateTimeFormat(locale, { dateStyle: 'full', timeStyle: 'medium', hourCycle });
const relative = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' });

/** Days since the Unix epoch where the user is. */
export function dayOf(time) {
  const d = new Date(time);
  return Math.floor((d - d.getTimezoneOffset() * 60_000) / 86_400_000);
}

export const clockOf = (time) => clock.format(new Date(time));
export const momentOf = (time) => moment.format(new Date(time));

/** "today", "yesterday" or the date. */
export function dateOf(time) {
  const ago = dayOf(Date.now()) - dayOf(time);
  return ago === 0 || ago === 1 ? relative.format(-ago, 'day') : date.format(new Date(time));
}

/** The time of a message of today, otherwise its date. */
export function whenOf(time) {
  return dayOf(time) === dayOf(Date.now()) ? clockOf(time) : short.format(new Date(time));
}
