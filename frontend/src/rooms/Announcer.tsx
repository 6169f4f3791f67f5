import { useEffect, useState } from "react";

/** Says `text` to screen readers once it has stood still; never what it was drawn with first. */
export function Announcer({ text }: { readonly text: string }) {
  const [first] = useState(text);
  const [said, setSaid] = useState("");
  useEffect(() => {
    if (text === first && said === "") return;
    const timer = setTimeout(() => setSaid(text), 900);
    return () => clearTimeout(timer);
  }, [text, first, said]);
  return (
    <div className="unseen" role="status" aria-live="polite">
      {said}
    </div>
  );
}
