"""HorizontalPodAutoscaler: as many pods as their use asks for.

``metrics`` asks what pods use, ``proposal`` makes a number of replicas of it, ``evaluation`` does so for every metric, ``behavior`` bounds
how fast and how nervously the number may move, ``controller`` reads the scale, decides, writes it and says why.
"""
