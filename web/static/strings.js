/** All texts of the page, once per language. */

const words = {
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
    sending: 'sending…',
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
    notConnected: 'Not connected. Try again in a moment.',
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
    sending: '发送中…',
    failed: '发送失败：{why}',
    retry: '重试',
    discard: '丢弃',
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
    notConnected: '尚未连接，请稍后再试。',
  },
};

export const lang = navigator.language.startsWith('zh') ? 'zh-CN' : 'en';
const table = words[lang.slice(0, 2)];
const locale = lang === 'en' ? navigator.language : lang;

/** The words for key, with {name} replaced by vars.name. */
export function t(key, vars = {}) {
  return table[key].replace(/\{(\w+)\}/g, (_, name) => vars[name] ?? '');
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

const clock = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit' });
const date = new Intl.DateTimeFormat(locale, { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });
const short = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short' });
const moment = new Intl.DateTimeFormat(locale, { dateStyle: 'full', timeStyle: 'medium' });
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
