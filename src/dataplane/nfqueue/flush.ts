import { removeRules } from "./rules.ts";
import { LINUX, type PlaneSystem } from "./system.ts";

/**
 * Takes away what the plane's earlier runs left in the host: rules and routes.
 * @throws SystemError
 */
export async function flushNfqueue(
  system: Pick<PlaneSystem, "run" | "openRoutes"> = LINUX,
): Promise<void> {
  // To close them is to remove them all, whoever set them.
  system.openRoutes().close();
  await removeRules(system.run);
}
