import { Link } from "@tanstack/react-router";
import { Empty, ErrorBox } from "../ui/parts";

export function Broken(props: { error: unknown; reset?: () => void }) {
  return <ErrorBox error={props.error} onRetry={() => location.reload()} />;
}

export function Missing() {
  return (
    <main className="main">
      <Empty title="There is no page here" action={<Link className="btn" to="/">To the start</Link>}>
        The address is wrong, or what it showed is gone.
      </Empty>
    </main>
  );
}
