/** `target` with some members replaced; the others stay bound to it. */
export function override<T extends object>(target: T, parts: Partial<T>): T {
  return new Proxy(target, {
    get(from, name) {
      if (name in parts) return Reflect.get(parts, name) as unknown
      const member: unknown = Reflect.get(from, name, from)
      return typeof member === 'function' ? (member.bind(from) as unknown) : member
    },
  })
}
