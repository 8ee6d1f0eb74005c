// The address is the page's memory: what a list shows stands in the query, so a link opens the same view.
import { useCallback, useMemo, useSyncExternalStore } from "react";
import { useLocation, useNavigate } from "react-router";

const never = () => () => {};

/** The query as URLSearchParams, and a function that changes some of it. Prerendered pages know no query. */
export function useQuery() {
  const location = useLocation();
  const navigate = useNavigate();
  const search = useSyncExternalStore(never, () => location.search, () => "");
  const query = useMemo(() => new URLSearchParams(search), [search]);
  const change = useCallback(
    (changes, { push = false } = {}) => {
      const next = altered(new URLSearchParams(window.location.search), changes);
      if (`?${next}` === window.location.search || (!`${next}` && !window.location.search)) return;
      navigate({ search: next.toString() }, { replace: !push, preventScrollReset: true });
    },
    [navigate],
  );
  return [query, change];
}

/** The query with some of it changed; null, undefined and "" take a parameter out. */
export function altered(params, changes) {
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") params.delete(name);
    else params.set(name, value);
  }
  return params;
}

/** Column filters in the query: `f.<column>=text`. */
export function filtersOf(query) {
  const found = {};
  for (const [name, value] of query) if (name.startsWith("f.") && value) found[name.slice(2)] = value;
  return found;
}

/** How a row is named in an address: cluster/namespace/name, with nothing between the slashes where there is no namespace. */
export const refOf = (row) => row._ref ?? [row._cluster ?? "", row.namespace ?? "", row.name ?? ""].map(encodeURIComponent).join("/");

/** Going back to the first page, which every change of the question does. */
export const FIRST_PAGE = { cursor: null, from: null };
