"""The contracts: typed data that services, store and clients share. No torch, no Qdrant."""
