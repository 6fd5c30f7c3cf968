import { useNavigate, useSearch } from "@tanstack/react-router";

/** A choice that stands in the address, so that a link or a reload leads back to it. */
export function useChoice<T extends string>(name: "view" | "span", options: readonly (readonly [T, string])[], first: T): [T, (chosen: T) => void] {
  const given = useSearch({ strict: false })[name];
  const navigate = useNavigate();
  const now = options.find(([value]) => value === given)?.[0] ?? first;
  const choose = (chosen: T) => void navigate({ to: ".", search: (was) => ({ ...was, [name]: chosen === first ? undefined : chosen }), replace: true });
  return [now, choose];
}
