// Our mark: an open ring that ends in a node, with a second node on its way.
export function Logo({ size = 24 }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" fill="none" aria-hidden="true" className="logo-mark">
      <path d="M24.6 8.2A12 12 0 1 0 28 16.6H17.5" stroke="#1f9bff" strokeWidth="3.5" strokeLinecap="round" strokeLinejoin="round" />
      <circle cx="17.3" cy="16.6" r="4" fill="#1f9bff" />
      <circle cx="26.2" cy="6.4" r="3.1" className="logo-node" />
    </svg>
  );
}
