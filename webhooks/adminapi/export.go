package adminapi

import (
	"context"

	"tidewire/tenants"
	"tidewire/webhooks"
)

// ExportParts are what webhooks add to the export of a tenant: its endpoints
// without their secrets, and every delivery that is kept, dead ones included,
// with its events and attempts.
func ExportParts(store webhooks.Store) []tenants.ExportPart {
	return []tenants.ExportPart{
		{Name: "webhooks", Values: func(ctx context.Context, tenantID string, emit func(any) error) error {
			return eachEndpoint(ctx, store, tenantID, func(e *webhooks.Endpoint) error { return emit(viewOf(e)) })
		}},
		{Name: "webhook_deliveries", Values: func(ctx context.Context, tenantID string, emit func(any) error) error {
			return eachEndpoint(ctx, store, tenantID, func(e *webhooks.Endpoint) error { return exportDeliveries(ctx, store, e.ID, emit) })
		}},
	}
}

func eachEndpoint(ctx context.Context, store webhooks.Store, tenantID string, do func(*webhooks.Endpoint) error) error {
	list, err := store.TenantEndpoints(ctx, tenantID)
	if err != nil {
		return err
	}
	for i := range list {
		if err := do(&list[i]); err != nil {
			return err
		}
	}
	return nil
}

// exportDeliveries gives the deliveries of an endpoint, the newest first.
func exportDeliveries(ctx context.Context, store webhooks.Store, endpoint string, emit func(any) error) error {
	const page = 100 // with their events, a page is some megabytes at most
	f := webhooks.DeliveryFilter{EndpointID: endpoint, Limit: page}
	for {
		list, err := store.Deliveries(ctx, f)
		if err != nil {
			return err
		}
		for i := range list {
			v, err := detailOf(ctx, store, &list[i])
			if err != nil {
				return err
			}
			if err := emit(v); err != nil {
				return err
			}
		}
		if len(list) < page {
			return nil
		}
		f.Before = list[page-1].ID
	}
}
