import { useQuery } from "@tanstack/react-query";
import { meQuery } from "../../api/queries";
import { useChoice } from "../../ui/choice";
import { Empty, Loading, Page, Segments } from "../../ui/parts";
import { Health } from "./health";
import { Nodes, Plans } from "./installation";
import { Tenants } from "./tenants";

const views = [["tenants", "Tenants"], ["plans", "Plans"], ["nodes", "Nodes"]] as const;

export function Operator() {
  const { data: me } = useQuery(meQuery);
  const [view, setView] = useChoice("view", views, "tenants");
  if (!me) return <Loading />;
  if (!me.user?.operator) return <Empty title="For operators only">This page is for whoever looks after the installation.</Empty>;
  return (
    <Page title="Operator" about="Who is on this installation, what they may use, and the nodes that serve them." actions={<Segments label="View" value={view} options={views} onChange={setView} />}>
      {view === "tenants" && <Tenants />}
      {view === "plans" && <Plans />}
      {view === "nodes" && <><Nodes /><Health /></>}
    </Page>
  );
}
