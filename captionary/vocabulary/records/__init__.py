"""Pictures and regions as a store keeps them: points, their ids, reading and writing."""
