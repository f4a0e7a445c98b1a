"""Exact search of many queries and k-means on a graphics processor, through torch. Chosen explicitly, never found by itself.

The device only proposes: it computes distances tile by tile, in single precision, and keeps a few more rows than were asked for. What they
are worth, and in what order they come, the core says; where rounding on the device could have hidden a row, the core searches anew. So the
answers are those of the processor. `device.py` is what a device does, `nearest.py` the search, `clusters.py` k-means.
"""

from vicino.gpu.clusters import Clusters, kmeans
from vicino.gpu.device import Device, open_device

__all__ = ["Clusters", "Device", "kmeans", "open_device"]
