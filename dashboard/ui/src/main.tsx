import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { ApiError } from "./api/client";
import { retry } from "./api/queries";
import { router } from "./router";
import "./styles.css";
import { applyTheme } from "./ui/theme";
import { failed, Toasts } from "./ui/toasts";

applyTheme();

const client = new QueryClient({
  defaultOptions: {
    queries: { retry, staleTime: 5000 },
    // A form shows its own refusal; what has no form tells it in passing.
    mutations: { onError: (error) => (error instanceof ApiError ? undefined : failed(error)) },
  },
});

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <QueryClientProvider client={client}>
      <RouterProvider router={router} />
      <Toasts />
    </QueryClientProvider>
  </StrictMode>,
);
